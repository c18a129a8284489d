"""Git repositories, read through the ``git`` program.

``process`` runs git safely, ``objects`` reads raw commits and tags, ``checkout`` tells what a path is and
where its refs point, ``collect`` streams commits with their changed files.
"""
