import sys

from modelsec_course.app.cli import main

sys.exit(main())
