"""`python -m services.processor`"""

import services.lean_imports  # noqa: F401  before anything imports kio
from services.processor.main import main

main()
