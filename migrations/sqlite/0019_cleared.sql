-- What counts no more in periods: nothing before cleared_day does, and of that day not what these say.
ALTER TABLE tk_term ADD COLUMN cleared_day INTEGER;

ALTER TABLE tk_term ADD COLUMN day_seconds BIGINT NOT NULL DEFAULT 0;

ALTER TABLE tk_term ADD COLUMN day_input BIGINT NOT NULL DEFAULT 0;

ALTER TABLE tk_term ADD COLUMN day_output BIGINT NOT NULL DEFAULT 0;
