"""`python -m services.processor`"""

from services.processor.main import main

main()
