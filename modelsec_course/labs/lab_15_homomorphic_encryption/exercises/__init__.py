"""Lab 15: its exercises, in the order of the notebook."""

from modelsec_course.labs.lab_15_homomorphic_encryption.exercises import (
    decode,
    decrypt,
    encrypt,
    encrypted_score,
    plan,
    solve_for_key,
)

EXERCISES = (
    encrypt.EXERCISE,
    decrypt.EXERCISE,
    decode.EXERCISE,
    encrypted_score.EXERCISE,
    plan.EXERCISE,
    solve_for_key.EXERCISE,
)
