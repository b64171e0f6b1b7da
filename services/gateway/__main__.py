"""`python -m services.gateway`"""

from services import lean_imports  # before anything imports kio
from services.gateway.main import main

lean_imports.imported()
main()
