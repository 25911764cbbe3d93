"""Charts as SVG, and the same as figures of a paper.

chart   axes and points
forest  effects with their intervals
slope   two conditions joined by lines
kcurve  accuracy by the number of passages
shares  shares of outcomes
figure  PNG and PDF
"""
