"""From rates to time, storage, network traffic and cost: `mota plan`.

`rates` says what a rate is, `rate_keys` which there are, `rates_file` how they are kept. `stages` turns a `Workload` on
`Machines` into steps, a file of them for each command, and `plan` adds these up. `measuring` makes a file of rates.
"""
