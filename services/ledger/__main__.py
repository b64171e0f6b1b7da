"""`python -m services.ledger`"""

import services.lean_imports  # noqa: F401  before anything imports kio
from services.ledger.main import main

main()
