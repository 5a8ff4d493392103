"""Parity: one table of cases, each run on minigraph and on TensorFlow or Keras, and a report of how they
compare.

    case.py, draw.py    what a case is and where its input numbers come from
    cases/              the table, one file per family
    ways.py             the ways a case runs on either library
    tolerances.py       how errors are counted and how large they may be, with the reasons
    run.py              runs cases and judges them
    divergence.py       the first op at which the two libraries part
    training.py         optimizers and whole networks, step by step
    report.py           the table per op; `python -m parity` prints it
"""
