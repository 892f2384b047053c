"""What would go wrong with a Django site on Heroku: the rules of `headwaiter check`, one module for each topic.

They run in Django's own check framework. A rule is a small function of a `Site` (site.py) that yields what it saw;
facts.py collects what a site is, so that no rule touches a database, a process or the network.
"""
