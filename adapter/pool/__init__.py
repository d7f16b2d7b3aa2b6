"""One process for many timers: ``python -m adapter.pool``. The hook says by HTTP which sources it runs."""
