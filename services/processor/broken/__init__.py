"""The processor's named bugs (`--break NAME`), one a file; services.named_bugs says how they come in.

Each file says what the mistake is, what must happen before it shows, and which anomaly it is then.
"""
