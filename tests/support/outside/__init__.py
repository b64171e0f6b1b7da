"""An outsider who trusts nobody: posts, kills, rewinds, appends; then reads the log and judges, with its own code.

Nothing here imports events, services or simulator: what it knows of Payonce is docs/contract.md and stack.json.
`python -m tests.support.outside --payments 5000 --seed 7` runs it by hand.
"""
