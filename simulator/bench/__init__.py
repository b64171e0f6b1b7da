"""Measure processors side by side, from outside, the same way for everybody.

In:      what to measure, where Kafka is.
Out:     every single run, ratios with their spread, a table and a picture.
Source:  docs/bench.md says how it measures and what it does not say.
"""
