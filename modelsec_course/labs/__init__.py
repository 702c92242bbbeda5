"""One room per lab: `lab_NN_name/` holds its notebook, its card and quiz, its exercises and its scene.

`planned.py` lists the labs to come, `common.py` what several labs' exercises share.
"""
