"""What runs Vestnik's functions outside Lambda: `python -m infra.host api | worker | clock | environment`.

It calls the very handlers of app.py, and takes what it has to know of them from infra/template.yaml.
"""
