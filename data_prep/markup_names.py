"""Names of LaTeX commands and environments and of HTML elements, which tell markup from text."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Environments whose content a reader reads as language; only their commands are kept, not what they hold.
TEXT_ENVIRONMENTS = _words(
    "itemize enumerate description quote quotation center flushleft flushright document abstract theorem lemma proof "
    "definition corollary proposition remark example exercise problem solution answer claim note verse"
)
# Commands with text as their argument; the text is offered for translation.
TEXT_COMMANDS = _words(
    "textbf textit emph underline textrm textsf section subsection subsubsection paragraph chapter title caption "
    "footnote item href"
)
COMMANDS = _words(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega times cdot div pm mp "
    "le leq ge geq ne neq approx equiv sim simeq cong propto infty sum prod int oint lim frac dfrac tfrac sqrt binom "
    "partial nabla forall exists in notin subset subseteq supset cup cap setminus emptyset varnothing to rightarrow "
    "leftarrow Rightarrow Leftarrow iff implies mapsto land lor neg therefore because ldots cdots dots vdots quad "
    "qquad left right big Big bigg sin cos tan cot sec csc log ln exp min max gcd lcm mod bmod pmod det dim ker deg "
    "angle triangle perp parallel circ degree prime hbar ell Re Im displaystyle boxed hline newline noindent "
    "smallskip medskip bigskip centering par LaTeX TeX item mid star ast oplus otimes langle rangle lfloor rfloor "
    "lceil rceil hat bar vec overline blacksquare square checkmark"
)
FUNCTION_NAMES = _words("sin cos tan cot sec csc log ln exp min max gcd lcm mod lim det arg deg inf sup")
HTML_NAMES = _words(
    "a abbr address area article aside audio b base blockquote body br button canvas caption cite code col colgroup "
    "data dd del details dfn dialog div dl dt em embed fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head "
    "header hr html i iframe img input ins kbd label legend li link main map mark meta nav object ol optgroup option "
    "output p param picture pre progress q s samp script section select small source span strong style sub summary "
    "sup svg table tbody td template textarea tfoot th thead time title tr track u ul var video wbr"
)
