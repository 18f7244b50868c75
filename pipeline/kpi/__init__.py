"""KPIs as data: the expression language, the catalogue, the calendar and the arithmetic. Pure."""
