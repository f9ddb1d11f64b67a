from kerasft_cli.command import main

main()
