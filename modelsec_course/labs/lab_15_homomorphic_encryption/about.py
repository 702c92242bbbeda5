"""Lab 15: its card, its threat, its quiz."""

from modelsec_course.lab.exercise import Lab, Question
from modelsec_course.lab.threat import Threat

LAB = Lab(
    number="15",
    title="Homomorphic encryption",
    question="Can a server score data it cannot read?",
    minutes=120,
    difficulty=3,
    prerequisites=("arithmetic modulo n: remainders, inverses, powers", "Lab 09, for what answers give away"),
    outcomes=(
        "encrypt, add up and weigh numbers with Paillier's scheme, and say where the key is",
        "plan an encrypted computation: depth, scale, ring, and the security it leaves",
        "score thousands of rows at once in a process that holds no key, and measure the error",
        "recover the secret key from answers published too precisely, and say what would prevent it",
    ),
    seconds=35,
    part="Privacy by design",
    stage="API",
)

THREAT = Threat(
    goal="**privacy**: the patients' records; and in section 5 the secret key, which opens all of them",
    knowledge="**the server's**: the model, the public key, every ciphertext that it is sent or computes",
    capability="**honest but curious**: it computes what it should, keeps everything, and reads what is published",
    ids=("NISTAML.03", "NISTAML.031", "AML.T0024", "AML.M0012", "ML09:2023"),
)

QUIZ = (
    Question(
        "A hospital sends encrypted rows and reads encrypted scores. What does the encryption protect?",
        (
            "the rows, from the server",
            "the rows from the server, and the model from the hospital",
            "the rows, the model, and that the score is right",
        ),
        0,
        (
            "The server never holds the key.",
            "The hospital may ask what it likes. One score gave us the whole linear model.",
            "The server can send back any ciphertext: the hospital only sees a number.",
        ),
    ),
    Question(
        "In Paillier's scheme a server computes c⁵ and sends that back. What can the hospital find out?",
        (
            "nothing but five times its message",
            "that the factor was 5, even if it could not divide: it knows its own random number",
            "the server's other factors too, one by one, since all its ciphertexts are products of powers of c",
        ),
        1,
        (
            "It knows m and r, so it can test any factor: an encryption of 5m with r⁵ is this very ciphertext.",
            "That is why the last step of the score is a fresh encryption of 0.",
            "Only those that went into this ciphertext.",
        ),
    ),
    Question(
        "A computation needs five multiplications in a row, and your plan has room for four. What do you change?",
        (
            "the scale: a larger one leaves more room for what comes out",
            "nothing: the last product is only a little less precise",
            "the chain: one prime more, and perhaps a larger ring",
        ),
        2,
        (
            "A larger scale makes every prime longer. The number of primes is what is missing.",
            "There is no prime left to divide by: the library stops with “scale out of bounds”.",
            "Depth costs primes, primes cost security, and a larger ring buys it back.",
        ),
    ),
    Question(
        "Why may a client not publish what it decrypts, bit for bit?",
        (
            "it holds the encryption's noise, and so exact equations for the key",
            "the scores tell the patients' diagnoses, which nobody but the hospital may know",
            "the server could then compute the model's weights",
        ),
        0,
        (
            "Two such vectors and the server's own ciphertexts gave the whole key.",
            "They may, and that is another question: here the key was lost, and with it every row ever sent.",
            "It knows the weights already.",
        ),
    ),
    Question(
        "“We round to six decimals, and the attack fails.” What do you answer?",
        (
            "Then it is safe: without the last digits the equations have no solution, however many there are.",
            "This attack failed, so far. A proof needs a bound on the noise.",
            "Ten decimals would do as well: what matters is that the last digit of all is not published.",
        ),
        1,
        (
            "Some pairs of answers round to the right ones, and a server can try pair after pair.",
            "Forty nights give away what two seldom do. With a bound, flooding is proved, and so is coarse rounding.",
            "With ten decimals the server recovered the whole key.",
        ),
    ),
)
