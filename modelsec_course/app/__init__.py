"""The course as a program: the `modelsec` command, JupyterLab with the learner's copies, the doctor, the book."""
