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

_VERSION_2 = """
CREATE TABLE slide_label (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    label TEXT,
    person TEXT NOT NULL,
    created TEXT NOT NULL
);
CREATE INDEX label_of_slide ON slide_label (slide_id, id);
INSERT INTO slide_label (slide_id, label, person, created)
    SELECT id, label, '', added FROM slide WHERE label IS NOT NULL;
ALTER TABLE slide DROP COLUMN label;
CREATE TABLE assessment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    annotation_id INTEGER NOT NULL REFERENCES annotation (id),
    label TEXT,
    size REAL CHECK (size BETWEEN 0 AND 1),
    person TEXT NOT NULL,
    created TEXT NOT NULL
);
CREATE INDEX assessment_of_annotation ON assessment (annotation_id, id);
INSERT INTO assessment (annotation_id, label, size, person, created)
    SELECT id, label, size, person, updated FROM annotation WHERE label IS NOT NULL OR size IS NOT NULL ORDER BY id;
CREATE TABLE annotation_of_version_2 (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    x INTEGER NOT NULL,
    y INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    mask_downsample REAL,
    status TEXT NOT NULL CHECK (status IN ('draft', 'done', 'skipped', 'cannot tell')),
    person TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    model_hash TEXT,
    query_id INTEGER REFERENCES query (id),
    continues INTEGER REFERENCES annotation (id),
    base_mask_file TEXT,
    base_origin_file TEXT,
    mask_file TEXT,
    origin_file TEXT,
    finish_order INTEGER UNIQUE,
    region_number INTEGER,
    held_out INTEGER NOT NULL DEFAULT 0,
    CHECK (status <> 'draft' OR base_mask_file IS NOT NULL)
);
INSERT INTO annotation_of_version_2 (
    id, slide_id, x, y, width, height, mask_downsample, status, person, created, updated, model_hash, query_id,
    continues, base_mask_file, base_origin_file, mask_file, origin_file, finish_order, region_number, held_out
) SELECT
    id, slide_id, x, y, width, height, mask_downsample, status, person, created, updated, model_hash, query_id,
    continues, base_mask_file, base_origin_file, mask_file, origin_file, finish_order, region_number, held_out
FROM annotation;
DROP TABLE annotation;
ALTER TABLE annotation_of_version_2 RENAME TO annotation;
CREATE INDEX annotation_of_slide ON annotation (slide_id, status)
"""
"""Labels of slides, and labels and sizes of annotations, become journals: the newest row counts, none is changed.

An annotation may do without a mask. Who labelled a slide in version 1, and when, was not kept: nobody is named, and
the time is when the slide was added.
"""

_VERSION_3 = """
ALTER TABLE query ADD COLUMN evidence TEXT NOT NULL DEFAULT '{}';
UPDATE query SET evidence = json_object('share', found.percent / 100.0) FROM (
    SELECT id, CAST(substr(head, length(rtrim(head, '0123456789')) + 1) AS INTEGER) AS percent FROM (
        SELECT id, rtrim(substr(reason, 1, instr(reason, '%') - 1), ' ' || char(160, 8239)) AS head FROM query
        WHERE strategy IN ('entropy', 'least-confidence', 'margin', 'ratio', 'mc-dropout', 'cod', 'cod-softmax')
        AND instr(reason, '%') > 0
    ) WHERE head GLOB '*[0-9]'
) AS found WHERE found.id = query.id;
UPDATE query SET evidence = json_object('beside', found.name) FROM (
    SELECT query.id, slide.name, MAX(length(slide.name)) FROM query
    JOIN slide ON instr(reason, ' ' || slide.name || ' ') > 0 OR instr(reason, ' ' || slide.name || '.') > 0
    WHERE strategy IN ('k-center', 'vaal') GROUP BY query.id
) AS found WHERE found.id = query.id;
UPDATE query SET evidence = json_object('classes', json_array(found.one, found.other)) FROM (
    SELECT query.id, one.name AS one, other.name AS other, MAX(length(one.name) + length(other.name)) FROM query
    JOIN (SELECT json_extract(value, '$.name') AS name FROM project, json_each(scheme, '$.labels')) AS one
    JOIN (SELECT json_extract(value, '$.name') AS name FROM project, json_each(scheme, '$.labels')) AS other
    WHERE strategy = 'svm-margin' AND (
        instr(reason, ' ' || one.name || ' and ' || other.name || '.') > 0
        OR instr(reason, ' ' || one.name || ' und ' || other.name || '.') > 0
        OR instr(reason, ' ' || one.name || ' et ' || other.name || '.') > 0
    ) GROUP BY query.id
) AS found WHERE found.id = query.id;
ALTER TABLE query DROP COLUMN reason
"""
"""A query keeps what its strategy found in the region, as a JSON object, in place of a sentence in one language.

Of the sentences of version 2 the percentage is read, and the names of slides and classes as they are in the project.
"""

_VERSION_4 = """
CREATE TABLE step (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('painted', 'assessed', 'ended', 'left out')),
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    annotation_id INTEGER REFERENCES annotation (id),
    query_id INTEGER REFERENCES query (id),
    patch_id INTEGER UNIQUE REFERENCES patch (id),
    person TEXT NOT NULL,
    detail TEXT NOT NULL,
    created TEXT NOT NULL,
    undone TEXT
);
CREATE INDEX step_of_annotation ON step (annotation_id, id);
CREATE INDEX step_of_person ON step (person, id);
INSERT INTO step (kind, slide_id, annotation_id, patch_id, person, detail, created)
SELECT kind, slide_id, annotation_id, patch_id, person, detail, given FROM (
    SELECT 'painted' AS kind, slide_id, annotation_id, patch.id AS patch_id, person, '{}' AS detail,
        patch.created AS given, patch.id AS number
    FROM patch JOIN annotation ON annotation.id = annotation_id WHERE status = 'draft'
    UNION ALL
    SELECT 'assessed', slide_id, annotation_id, NULL, annotation.person, json_object(
        'before', json_array(LAG(label) OVER earlier, LAG(size) OVER earlier), 'after', json_array(label, size)
    ), assessment.created, assessment.id
    FROM assessment JOIN annotation ON annotation.id = annotation_id WHERE status = 'draft'
    WINDOW earlier AS (PARTITION BY annotation_id ORDER BY assessment.id)
) ORDER BY given, number
"""
"""What people do to regions and questions, step by step, so that it can be taken back: a step that is says when.

Of a project of version 3 the strokes, labels and sizes of drafts can be taken back, what was finished cannot.
"""

_VERSION_5 = """
CREATE TABLE class (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 254),
    name TEXT NOT NULL,
    colour TEXT NOT NULL,
    place INTEGER NOT NULL,
    merged_into INTEGER REFERENCES class (id),
    removed INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1))
);
CREATE TABLE class_change (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('add', 'rename', 'recolour', 'reorder', 'merge', 'remove')),
    detail TEXT NOT NULL,
    before TEXT NOT NULL,
    created TEXT NOT NULL,
    undone TEXT
);
CREATE TABLE label_class (
    place INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    class_id INTEGER REFERENCES class (id)
);
CREATE TABLE model_class (
    model_id INTEGER NOT NULL REFERENCES model (id),
    value INTEGER NOT NULL CHECK (value BETWEEN 1 AND 254),
    class_id INTEGER REFERENCES class (id),
    PRIMARY KEY (model_id, value)
);
INSERT INTO class (id, name, colour, place)
    SELECT mask.key + 1, json_extract(mask.value, '$.name'), json_extract(mask.value, '$.colour'), mask.key
    FROM project, json_each(scheme, '$.masks') AS mask;
INSERT INTO label_class (place, name, class_id)
    SELECT label.key, json_extract(label.value, '$.name'), class.id
    FROM project JOIN json_each(scheme, '$.labels') AS label
    LEFT JOIN class ON class.name = json_extract(label.value, '$.mask');
ALTER TABLE project DROP COLUMN scheme
"""
"""Mask classes get a permanent id, which is what masks keep; today's values become the ids. Each change is journaled.

`model_class` says which of them a model means by each of its own; models that have none are asked by their cards.
"""

_VERSION_6 = """
ALTER TABLE annotation ADD COLUMN counts TEXT NOT NULL DEFAULT 'region' CHECK (counts IN ('region', 'strokes'));
ALTER TABLE annotation ADD COLUMN deleted TEXT;
ALTER TABLE patch ADD COLUMN origins BLOB;
CREATE TABLE step_of_version_6 (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('painted', 'assessed', 'counted', 'ended', 'left out', 'deleted')),
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    annotation_id INTEGER REFERENCES annotation (id),
    query_id INTEGER REFERENCES query (id),
    patch_id INTEGER UNIQUE REFERENCES patch (id),
    person TEXT NOT NULL,
    detail TEXT NOT NULL,
    created TEXT NOT NULL,
    undone TEXT
);
INSERT INTO step_of_version_6 (
    id, kind, slide_id, annotation_id, query_id, patch_id, person, detail, created, undone
) SELECT id, kind, slide_id, annotation_id, query_id, patch_id, person, detail, created, undone FROM step;
DROP TABLE step;
ALTER TABLE step_of_version_6 RENAME TO step;
CREATE INDEX step_of_annotation ON step (annotation_id, id);
CREATE INDEX step_of_person ON step (person, id)
"""
"""What of a mask counts, all of it or the strokes alone; and when an annotation was deleted, whose rows and files stay.

All that was painted before counts as it did. A change of the mask keeps the origins that it gave its pixels.
"""

_VERSION_7 = """
ALTER TABLE prediction ADD COLUMN unlike REAL CHECK (unlike >= 0);
ALTER TABLE slide ADD COLUMN mpp_from TEXT NOT NULL DEFAULT '' CHECK (mpp_from IN ('', 'stated', 'given', 'objective'));
ALTER TABLE slide ADD COLUMN objective REAL CHECK (objective > 0)
"""
"""A prediction keeps how far its slide is from the training data (above 1: unlike), a slide where its resolution is
from. Of earlier predictions and slides that is not known. `objective` is the power that the file states.
"""

_VERSION_8 = """
CREATE TABLE step_of_version_8 (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (
        kind IN ('painted', 'assessed', 'counted', 'ended', 'left out', 'deleted', 'imported')
    ),
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    annotation_id INTEGER REFERENCES annotation (id),
    query_id INTEGER REFERENCES query (id),
    patch_id INTEGER UNIQUE REFERENCES patch (id),
    person TEXT NOT NULL,
    detail TEXT NOT NULL,
    created TEXT NOT NULL,
    undone TEXT
);
INSERT INTO step_of_version_8 (
    id, kind, slide_id, annotation_id, query_id, patch_id, person, detail, created, undone
) SELECT id, kind, slide_id, annotation_id, query_id, patch_id, person, detail, created, undone FROM step;
DROP TABLE step;
ALTER TABLE step_of_version_8 RENAME TO step;
CREATE INDEX step_of_annotation ON step (annotation_id, id);
CREATE INDEX step_of_person ON step (person, id)
"""
"""Annotations that come from elsewhere are a step, which can be taken back. What came before version 8 is none."""

_VERSION_9 = """
ALTER TABLE round ADD COLUMN person TEXT NOT NULL DEFAULT ''
"""
"""A round keeps who asked for it. Of earlier ones that is not known."""

_VERSION_10 = """
ALTER TABLE annotation ADD COLUMN reading_of INTEGER REFERENCES annotation (id);
ALTER TABLE annotation ADD COLUMN adjudicated TEXT;
ALTER TABLE annotation ADD COLUMN adjudicator TEXT NOT NULL DEFAULT '';
CREATE INDEX reading_of_annotation ON annotation (reading_of) WHERE reading_of IS NOT NULL
"""
"""A second reader's annotation names the first one's, which it was painted without sight of: it does not count, until
it is chosen. `adjudicated` is when an annotation of two was chosen, by `adjudicator`.
"""

MIGRATIONS: tuple[str, ...] = (
    _VERSION_1,
    _VERSION_2,
    _VERSION_3,
    _VERSION_4,
    _VERSION_5,
    _VERSION_6,
    _VERSION_7,
    _VERSION_8,
    _VERSION_9,
    _VERSION_10,
)
"""The i-th takes a database from schema version i to i + 1: statements between semicolons, foreign keys off."""

CASE_OF = "case of "
"""So begins the setting, followed by a slide's fingerprint, that keeps the case which its file states."""

SELECT_SLIDES = f"""
    SELECT slide.*, given.label, given.person, given.created, newest.probabilities AS predicted, newest.unlike,
        (SELECT value FROM setting WHERE key = '{CASE_OF}' || slide.fingerprint) AS stated_case
    FROM slide LEFT JOIN slide_label AS given ON given.id = (
        SELECT MAX(latest.id) FROM slide_label AS latest WHERE latest.slide_id = slide.id
    ) LEFT JOIN prediction AS newest ON newest.id = (
        SELECT MAX(own.id) FROM prediction AS own JOIN model ON model.id = own.model_id
        WHERE own.slide_id = slide.id AND model.status = 'current'
    ) WHERE slide.removed IS NULL"""
"""Slides that were not removed, with the label given last, their newest prediction by the current model, and the case
that their file states (`CASE_OF`)."""

SELECT_EVERY_ANNOTATION = """
    SELECT annotation.*, assessment.label, assessment.size FROM annotation LEFT JOIN assessment ON assessment.id = (
        SELECT MAX(latest.id) FROM assessment AS latest WHERE latest.annotation_id = annotation.id
    )"""
"""Annotations with the label and size given last."""

SELECT_ANNOTATIONS = (
    f"{SELECT_EVERY_ANNOTATION} JOIN slide ON slide.id = annotation.slide_id"
    " WHERE slide.removed IS NULL AND annotation.deleted IS NULL"
)
"""Those that were not deleted, of slides that were not removed."""

SELECT_QUERIES = "SELECT query.* FROM query JOIN slide ON slide.id = query.slide_id WHERE slide.removed IS NULL"

NEWEST_DONE = """annotation.status = 'done'
AND (annotation.reading_of IS NULL OR annotation.adjudicated IS NOT NULL) AND NOT EXISTS (
    SELECT 1 FROM annotation AS newer
    WHERE newer.status = 'done' AND newer.deleted IS NULL AND newer.slide_id = annotation.slide_id
    AND (newer.reading_of IS NULL OR newer.adjudicated IS NOT NULL)
    AND newer.x = annotation.x AND newer.y = annotation.y
    AND newer.width = annotation.width AND newer.height = annotation.height
    AND newer.finish_order > annotation.finish_order
)"""
"""Of the annotations done of one region, the one finished or chosen last; a second reading counts once chosen."""

COUNT_FINISHED_BY_SLIDE = f"""
    SELECT annotation.slide_id, COUNT(*) AS count FROM annotation JOIN slide ON slide.id = annotation.slide_id
    WHERE slide.removed IS NULL AND annotation.deleted IS NULL AND {NEWEST_DONE} GROUP BY annotation.slide_id"""

SELECT_EARLIEST_OVERLAP = """
    SELECT region_number, held_out FROM annotation
    WHERE region_number IS NOT NULL AND slide_id IN (
        SELECT same.id FROM slide AS own JOIN slide AS same ON same.fingerprint = own.fingerprint
        WHERE own.id = :slide_id
    )
    AND x < :x + :width AND :x < x + width AND y < :y + :height AND :y < y + height
    ORDER BY finish_order IS NULL OR deleted IS NOT NULL, finish_order LIMIT 1"""
"""The annotation done with a mask first of those that share a pixel with a region, on its slide or a copy of that.

One taken back counts, last, and so does one that was deleted: either may come back.
"""

SELECT_MASK_OF_REGION = """
    SELECT mask_file, origin_file, mask_downsample, model_hash, counts FROM annotation
    WHERE slide_id = :slide_id AND x = :x AND y = :y AND width = :width AND height = :height AND mask_file IS NOT NULL
    AND deleted IS NULL AND (reading_of IS NULL OR adjudicated IS NOT NULL)
    ORDER BY finish_order DESC LIMIT 1"""
"""The mask that a region was given last, of those that count."""

_SAMPLED = """q.strategy = 'random'
    AND EXISTS (SELECT 1 FROM query other WHERE other.round = q.round AND other.strategy <> 'random')"""

SELECT_SAMPLED = f"SELECT 1 FROM query q WHERE q.id = :id AND {_SAMPLED}"
"""A query that was sampled at random among others that a strategy chose."""

COUNT_SAMPLED_DONE = f"""
    SELECT COUNT(DISTINCT a.region_number) AS regions FROM annotation a JOIN query q ON a.query_id = q.id
    WHERE a.region_number IS NOT NULL AND {_SAMPLED}"""
"""The regions done with a mask that answered such queries; those taken back count."""

_CAN_BE_UNDONE = """step.undone IS NULL AND slide.removed IS NULL AND CASE step.kind
    WHEN 'ended' THEN annotation.deleted IS NULL AND annotation.status = json_extract(step.detail, '$.status')
    WHEN 'left out' THEN query.status = json_extract(step.detail, '$.after')
    WHEN 'deleted' THEN annotation.deleted IS NOT NULL
    WHEN 'imported' THEN annotation.deleted IS NULL
    ELSE annotation.deleted IS NULL AND annotation.status = 'draft' END"""

_CAN_BE_REDONE = """step.undone IS NOT NULL AND slide.removed IS NULL AND CASE step.kind
    WHEN 'left out' THEN query.status = json_extract(step.detail, '$.before')
    WHEN 'deleted' THEN annotation.deleted IS NULL
    WHEN 'imported' THEN annotation.deleted IS NOT NULL
    ELSE annotation.deleted IS NULL AND annotation.status = 'draft' END"""

_SELECT_STEPS = """
    SELECT step.* FROM step JOIN slide ON slide.id = step.slide_id
    LEFT JOIN annotation ON annotation.id = step.annotation_id LEFT JOIN query ON query.id = step.query_id"""

SELECT_STEP_TO_UNDO = f"""{_SELECT_STEPS}
    WHERE {_CAN_BE_UNDONE} AND step.person = ?1 AND (?2 IS NULL OR step.annotation_id IS NOT ?2)
    ORDER BY step.id DESC LIMIT 1"""
"""What a person did last, but in one draft, and has not taken back; what others have changed since is passed over."""

SELECT_STEP_TO_REDO = f"""{_SELECT_STEPS}
    WHERE {_CAN_BE_REDONE} AND step.person = ?1
    AND NOT (step.annotation_id IS ?2 AND step.kind IN ('painted', 'assessed', 'counted'))
    AND step.id > (SELECT COALESCE(MAX(id), 0) FROM step AS done WHERE done.person = ?1 AND done.undone IS NULL)
    ORDER BY step.id LIMIT 1"""
"""What a person took back last, but what was done in one draft, unless something was done since."""

SELECT_STEPS_IN_HAND = """
    SELECT * FROM step WHERE annotation_id = ?1 AND kind IN ('painted', 'assessed', 'counted') AND (
        undone IS NULL
        OR id > (SELECT COALESCE(MAX(id), 0) FROM step AS done WHERE done.annotation_id = ?1 AND done.undone IS NULL)
    ) ORDER BY id"""
"""What was done in a draft and can be taken back (strokes, labels, sizes, what counts), then what can be done again."""

SELECT_DRAFTS_OF_REGION = f"""{SELECT_ANNOTATIONS} AND status = 'draft' AND slide_id = ?1
    AND annotation.x = ?2 AND annotation.y = ?3 AND annotation.width = ?4 AND annotation.height = ?5
    AND (?6 IS NULL OR annotation.person IN (?6, ''))
    ORDER BY (SELECT MAX(id) FROM step WHERE annotation_id = annotation.id) DESC NULLS LAST, annotation.id DESC"""
"""The drafts of a region of anybody (NULL), or of a person and of nobody by name; the one worked on last first."""

WORK_WAS_DONE = """EXISTS (
    SELECT 1 FROM step WHERE step.annotation_id = annotation.id AND step.undone IS NULL
    AND step.kind IN ('painted', 'assessed')
)"""
"""An annotation in which somebody painted, or gave a label or a size."""

COUNT_BEGUN_BY_SLIDE = f"""
    SELECT annotation.slide_id, COUNT(*) AS count FROM annotation JOIN slide ON slide.id = annotation.slide_id
    WHERE slide.removed IS NULL AND annotation.deleted IS NULL AND status = 'draft' AND {WORK_WAS_DONE}
    GROUP BY annotation.slide_id"""

SELECT_LISTED = f"""{SELECT_ANNOTATIONS} AND CASE status
    WHEN 'draft' THEN {WORK_WAS_DONE}
    WHEN 'done' THEN {NEWEST_DONE}
    ELSE NOT EXISTS (
        SELECT 1 FROM annotation AS newer WHERE newer.slide_id = annotation.slide_id AND newer.id > annotation.id
        AND newer.x = annotation.x AND newer.y = annotation.y
        AND newer.width = annotation.width AND newer.height = annotation.height
        AND newer.status <> 'draft' AND newer.deleted IS NULL
    ) END
    ORDER BY annotation.updated DESC, annotation.id DESC"""
"""What a person would call the annotations, newest first: drafts with work in them, and of each region how it ended."""
