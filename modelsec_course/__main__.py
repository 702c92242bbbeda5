import sys

from modelsec_course.cli import main

sys.exit(main())
