"""The gateway's named bugs (`--break NAME`), one a file; services.named_bugs says how they come in."""
