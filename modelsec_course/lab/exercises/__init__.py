"""The exercises of each lab: `lab_01.py` holds LAB, QUIZ and the exercises of lab 01."""
