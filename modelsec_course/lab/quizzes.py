"""`quiz("01")`: questions whose every answer, right or wrong, is explained."""

from __future__ import annotations

import os

import ipywidgets as widgets
from IPython.display import display

from modelsec_course.lab import store
from modelsec_course.lab.controls import Choices
from modelsec_course.lab.exercise import Question
from modelsec_course.lab.markup import PROSE, box, esc, inline, rich
from modelsec_course.lab.rooms import load

LOOK = """<style>.msec-quiz{margin-bottom:.8rem}
.msec-quizzes.widget-vbox{max-width:52rem;box-sizing:border-box;margin:.4rem 0;padding:.7rem 1rem .8rem;
overflow:hidden;border:1px solid var(--jp-border-color2,rgba(127,127,127,.4));
border-left:5px solid var(--jp-brand-color1,#1976d2);border-radius:6px;
background:var(--jp-layout-color1,rgba(127,127,127,.06))}
</style>"""
HEAD = f"{PROSE};font-weight:600;white-space:normal"


class Asked(widgets.VBox):
    """One question: choosing an option says whether it is right, and why."""

    def __init__(self, number: str, place: str, question: Question):
        self.number, self.question = number, question
        prompt = f'<div style="{HEAD}">{esc(place)} {inline(question.prompt)}</div>'
        kept = {} if os.environ.get("MODELSEC_EXPECT") else store.read()[0]["quizzes"].get(number, {})
        self.right = kept.get(store.question_key(question.prompt), {}).get("right", False)  # the latest answer
        options = [option.replace("`", "") for option in question.options]
        self.choices = Choices(options=options, name=f"Answers to: {question.prompt}")
        self.feedback = widgets.HTML('<div role="status" aria-live="polite"></div>')
        self.choices.observe(self._chosen, "value")
        super().__init__([widgets.HTML(prompt), self.choices, self.feedback])
        self.add_class("msec-quiz")

    def _chosen(self, change) -> None:
        if change["new"] is None:
            return
        choice, question = change["new"], self.question
        right = self.right = choice == question.answer
        note = ""
        if not os.environ.get("MODELSEC_EXPECT"):
            note = store.record_answer(self.number, question.prompt, choice, right)
        words, tone, icon = ("Right.", "good", "✔") if right else ("Not quite.", "bad", "✘")
        head = f'<span class="icon" aria-hidden="true" style="color:var(--tone)">{icon}</span><strong>{words}</strong>'
        body = f'<div style="display:flex"><div style="white-space:nowrap">{head}&nbsp;</div>'
        body += f"<div>{rich(question.why[choice]).replace('<p>', '<p style=margin:0>')}</div></div>"
        self.feedback.value = box(body + (f'<p class="soft">{esc(note)}</p>' if note else ""), tone=tone, live=True)


class Quiz(widgets.VBox):
    """All questions of a lab in one card, with the score; without widgets they are text that gives nothing away."""

    def __init__(self, number: str):
        contents = load(number)
        self.questions = contents.quiz
        self.asked = [
            Asked(contents.lab.number, f"Question {i} of {len(contents.quiz)}.", question)
            for i, question in enumerate(contents.quiz, 1)
        ]
        self.score = widgets.HTML()
        self._count()
        for asked in self.asked:
            asked.choices.observe(self._count, "value")
        super().__init__([widgets.HTML(f'{LOOK}<div style="{HEAD}">Quiz</div>'), *self.asked, self.score])
        self.add_class("msec-quizzes")

    def _count(self, _: object = None) -> None:
        right = sum(asked.right for asked in self.asked)
        words = f"{right} of {len(self.asked)} right so far"
        self.score.value = f'<div role="status" aria-live="polite" style="{HEAD}">{words}</div>'

    def __repr__(self) -> str:
        lines = []
        for i, question in enumerate(self.questions, 1):
            lines.append(f"Question {i} of {len(self.questions)}. {question.prompt}")
            lines += [f"  {chr(97 + j)}) {option}" for j, option in enumerate(question.options)]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle["text/plain"], bundle["text/html"] = repr(self), self._page()
        return bundle

    def _page(self) -> str:
        """For a printed page: each explanation folded under its option."""
        body = '<p class="head">Quiz</p>'
        for i, question in enumerate(self.questions, 1):
            body += f"<p><strong>{i}. {inline(question.prompt)}</strong></p>"
            for j, (option, why) in enumerate(zip(question.options, question.why, strict=True)):
                verdict = f"<p>{'Right.' if j == question.answer else 'Not quite.'} {inline(why)}</p>"
                body += f'<details><summary class="plain">{inline(option)}</summary>{verdict}</details>'
        return box(body, label="Quiz")


def quiz(number: str) -> None:
    """Show the quiz of a lab."""
    display(Quiz(number))
