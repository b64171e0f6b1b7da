"""What a run does, as a file that a person writes: customers, load, faults, and what must hold.

`models` says what may be written, `reading` turns YAML into it and names line and field of what is wrong,
`shipped/` has those that come with the product, `thresholds` judges a finished run, `preview` tells what a
seed will do.
"""
