"""`python -m services.ledger`"""

from services import lean_imports  # before anything imports kio
from services.ledger.main import main

lean_imports.imported()
main()
