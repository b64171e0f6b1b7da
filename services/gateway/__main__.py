"""`python -m services.gateway`"""

import services.lean_imports  # noqa: F401  before anything imports kio
from services.gateway.main import main

main()
