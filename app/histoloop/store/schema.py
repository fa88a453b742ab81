"""The tables of project.db. A migration is never edited once released: the next one is added below it."""

from __future__ import annotations

APPLICATION_ID = 0x48697374
"""'Hist': marks a SQLite file as a project."""

_VERSION_1 = """
CREATE TABLE project (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    scheme TEXT NOT NULL,
    created TEXT NOT NULL
);
CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE slide (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    relative_path TEXT,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    width INTEGER NOT NULL CHECK (width > 0),
    height INTEGER NOT NULL CHECK (height > 0),
    mpp REAL CHECK (mpp > 0),
    vendor TEXT NOT NULL,
    label TEXT,
    tissue_px REAL,
    added TEXT NOT NULL,
    removed TEXT
);
CREATE TABLE model (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    folder TEXT NOT NULL,
    hash TEXT NOT NULL,
    parent INTEGER REFERENCES model (id),
    round INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('candidate', 'current', 'kept', 'rolled back')),
    created TEXT NOT NULL
);
CREATE UNIQUE INDEX one_current_model ON model (status) WHERE status = 'current';
CREATE TABLE prediction (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    model_id INTEGER NOT NULL REFERENCES model (id),
    probabilities TEXT NOT NULL,
    created TEXT NOT NULL
);
CREATE INDEX prediction_of_slide ON prediction (slide_id, model_id);
CREATE TABLE map (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    model_id INTEGER NOT NULL REFERENCES model (id),
    folder TEXT NOT NULL,
    created TEXT NOT NULL
);
CREATE INDEX map_of_slide ON map (slide_id, model_id);
CREATE TABLE query (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    x INTEGER NOT NULL,
    y INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    score REAL NOT NULL,
    round INTEGER NOT NULL,
    reason TEXT NOT NULL,
    class_name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'annotated', 'skipped', 'cannot tell', 'superseded')),
    created TEXT NOT NULL,
    updated TEXT NOT NULL
);
CREATE INDEX query_by_status ON query (status, slide_id);
CREATE TABLE annotation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    x INTEGER NOT NULL,
    y INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    mask_downsample REAL NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('draft', 'done', 'skipped', 'cannot tell')),
    label TEXT,
    size REAL CHECK (size BETWEEN 0 AND 1),
    person TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    model_hash TEXT,
    query_id INTEGER REFERENCES query (id),
    continues INTEGER REFERENCES annotation (id),
    base_mask_file TEXT NOT NULL,
    base_origin_file TEXT NOT NULL,
    mask_file TEXT,
    origin_file TEXT,
    finish_order INTEGER UNIQUE,
    region_number INTEGER,
    held_out INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX annotation_of_slide ON annotation (slide_id, status);
CREATE TABLE patch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    annotation_id INTEGER NOT NULL REFERENCES annotation (id),
    x INTEGER NOT NULL,
    y INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    payload BLOB NOT NULL,
    created TEXT NOT NULL
);
CREATE INDEX patch_of_annotation ON patch (annotation_id, id);
CREATE TABLE round (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    number INTEGER NOT NULL UNIQUE,
    model_id INTEGER NOT NULL REFERENCES model (id),
    parent INTEGER REFERENCES model (id),
    figures TEXT NOT NULL,
    annotations INTEGER NOT NULL,
    created TEXT NOT NULL
)
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1,)
"""The i-th takes a database from schema version i to i + 1: statements between semicolons."""

SELECT_SLIDES = """
    SELECT slide.*, (
        SELECT probabilities FROM prediction JOIN model ON model.id = prediction.model_id
        WHERE prediction.slide_id = slide.id AND model.status = 'current' ORDER BY prediction.id DESC LIMIT 1
    ) AS predicted
    FROM slide WHERE slide.removed IS NULL"""
"""Slides that were not removed, with their newest prediction by the current model."""

SELECT_ANNOTATIONS = """
    SELECT annotation.* FROM annotation JOIN slide ON slide.id = annotation.slide_id WHERE slide.removed IS NULL"""

SELECT_QUERIES = "SELECT query.* FROM query JOIN slide ON slide.id = query.slide_id WHERE slide.removed IS NULL"

NEWEST_DONE = """annotation.status = 'done' AND NOT EXISTS (
    SELECT 1 FROM annotation AS newer
    WHERE newer.status = 'done' AND newer.slide_id = annotation.slide_id
    AND newer.x = annotation.x AND newer.y = annotation.y
    AND newer.width = annotation.width AND newer.height = annotation.height
    AND newer.finish_order > annotation.finish_order
)"""
"""Of the annotations done of one region, the one finished last."""

SELECT_EARLIEST_OVERLAP = """
    SELECT region_number, held_out FROM annotation
    WHERE slide_id = :slide_id AND status = 'done'
    AND x < :x + :width AND :x < x + width AND y < :y + :height AND :y < y + height
    ORDER BY finish_order LIMIT 1"""
"""The annotation done first of those that share a pixel with a region."""
