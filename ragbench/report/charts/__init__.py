"""Charts, drawn once as SVG for the page and for figures of a paper.

drawing  what all charts share, SVG files, PNG and PDF
chart    lines along one axis
forest   effects with their intervals
slope    two conditions joined by lines
square   the 2 x 2 of a pair as bars
spent    scores by all tokens that they take
trajectory  the primary effects of a run that may stop early, from look to look
kcurve   accuracy by the number of passages
shares   shares of outcomes
figure   the figures of a run
"""
