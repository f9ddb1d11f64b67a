def common_cells(rows):
    """The rows of cells that all seeds have, without seeds that have just been begun.

    A mean over seeds is one over the same cells. Seeds that have fewer cells
    than others are left out where more rows are kept so: one cell of a new
    seed does not outweigh all cells of the others, nor one seed of a new
    cell. Two seeds count as one, since their interval is several times as
    wide as that of three.

    Args:
        rows: `pandas.DataFrame`, a row for each cell (`distortion`, `size`)
            and `seed`.

    Returns:
        `pandas.DataFrame`, some of the rows; of two seeds at least, where
        there are two.
    """
    cells = list(zip(rows["distortion"], rows["size"], strict=True))
    of_seed = {
        seed: {cell for cell, other in zip(cells, rows["seed"], strict=True) if other == seed}
        for seed in sorted(set(rows["seed"]))
    }
    fullest = sorted(of_seed, key=lambda seed: len(of_seed[seed]), reverse=True)
    kept, common, most = [], set(), 0
    for count in range(min(2, len(fullest)), len(fullest) + 1):
        seeds = fullest[:count]
        shared = set(cells).intersection(*(of_seed[seed] for seed in seeds))
        worth = len(shared) * (count if count > 2 else 1)
        if worth > most:
            kept, common, most = seeds, shared, worth
    chosen = [
        seed in kept and cell in common for seed, cell in zip(rows["seed"], cells, strict=True)
    ]
    return rows.loc[chosen]
