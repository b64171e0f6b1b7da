"""`python -m services.processor`"""

from services import lean_imports  # before anything imports kio
from services.processor.main import main

lean_imports.imported()
main()
