PRAGMA application_id = 1214870388;
PRAGMA user_version = 10;
BEGIN TRANSACTION;
CREATE TABLE "annotation" (
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
    held_out INTEGER NOT NULL DEFAULT 0, counts TEXT NOT NULL DEFAULT 'region' CHECK (counts IN ('region', 'strokes')), deleted TEXT, reading_of INTEGER REFERENCES annotation (id), adjudicated TEXT, adjudicator TEXT NOT NULL DEFAULT '',
    CHECK (status <> 'draft' OR base_mask_file IS NOT NULL)
);
INSERT INTO "annotation" VALUES(1,1,20,0,12,9,1.0,'done','Ada','2026-01-02T03:04:05.678+00:00','2026-01-02T03:04:05.678+00:00','abc',5,NULL,'b.png','o.png','m.png','n.png',1,1,0,'region',NULL,NULL,NULL,'');
CREATE TABLE assessment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    annotation_id INTEGER NOT NULL REFERENCES annotation (id),
    label TEXT,
    size REAL CHECK (size BETWEEN 0 AND 1),
    person TEXT NOT NULL,
    created TEXT NOT NULL
);
INSERT INTO "assessment" VALUES(1,1,'benign',0.25,'Ada','2026-01-02T03:04:05.678+00:00');
CREATE TABLE class (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 254),
    name TEXT NOT NULL,
    colour TEXT NOT NULL,
    place INTEGER NOT NULL,
    merged_into INTEGER REFERENCES class (id),
    removed INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1))
);
INSERT INTO "class" VALUES(1,'gland','#00a000',0,NULL,0);
INSERT INTO "class" VALUES(2,'tumour','#d00000',1,NULL,0);
CREATE TABLE class_change (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('add', 'rename', 'recolour', 'reorder', 'merge', 'remove')),
    detail TEXT NOT NULL,
    before TEXT NOT NULL,
    created TEXT NOT NULL,
    undone TEXT
);
INSERT INTO "class_change" VALUES(1,'rename','{"name": "Gland", "to": "gland"}','[{"id": 1, "name": "Gland", "colour": "#00a000", "place": 0, "merged_into": null, "removed": 0}, {"id": 2, "name": "tumour", "colour": "#d00000", "place": 1, "merged_into": null, "removed": 0}]','2026-01-02T03:04:05.678+00:00',NULL);
CREATE TABLE label_class (
    place INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    class_id INTEGER REFERENCES class (id)
);
INSERT INTO "label_class" VALUES(0,'benign',1);
INSERT INTO "label_class" VALUES(1,'malignant',2);
CREATE TABLE map (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    model_id INTEGER NOT NULL REFERENCES model (id),
    folder TEXT NOT NULL,
    created TEXT NOT NULL
);
INSERT INTO "map" VALUES(1,1,1,'1-1','2026-01-02T03:04:05.678+00:00');
CREATE TABLE model (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    folder TEXT NOT NULL,
    hash TEXT NOT NULL,
    parent INTEGER REFERENCES model (id),
    round INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('candidate', 'current', 'kept', 'rolled back')),
    created TEXT NOT NULL
);
INSERT INTO "model" VALUES(1,'m','abc',NULL,0,'current','2026-01-02T03:04:05.678+00:00');
CREATE TABLE model_class (
    model_id INTEGER NOT NULL REFERENCES model (id),
    value INTEGER NOT NULL CHECK (value BETWEEN 1 AND 254),
    class_id INTEGER REFERENCES class (id),
    PRIMARY KEY (model_id, value)
);
INSERT INTO "model_class" VALUES(1,1,1);
INSERT INTO "model_class" VALUES(1,2,2);
CREATE TABLE patch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    annotation_id INTEGER NOT NULL REFERENCES annotation (id),
    x INTEGER NOT NULL,
    y INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    payload BLOB NOT NULL,
    created TEXT NOT NULL
, origins BLOB);
INSERT INTO "patch" VALUES(1,1,1,2,1,1,X'78','2026-01-02T03:04:05.678+00:00',NULL);
CREATE TABLE prediction (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    model_id INTEGER NOT NULL REFERENCES model (id),
    probabilities TEXT NOT NULL,
    created TEXT NOT NULL
, unlike REAL CHECK (unlike >= 0));
INSERT INTO "prediction" VALUES(1,1,1,'{"benign": 0.25, "malignant": 0.75}','2026-01-02T03:04:05.678+00:00',NULL);
CREATE TABLE project (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    created TEXT NOT NULL
);
INSERT INTO "project" VALUES(1,'Colon','2026-01-02T03:04:05.678+00:00');
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
    class_name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'annotated', 'skipped', 'cannot tell', 'superseded')),
    created TEXT NOT NULL,
    updated TEXT NOT NULL
, evidence TEXT NOT NULL DEFAULT '{}');
INSERT INTO "query" VALUES(5,1,20,0,12,9,'entropy',0.5,1,'','annotated','2026-01-02T03:04:05.678+00:00','2026-01-02T03:04:05.678+00:00','{}');
CREATE TABLE round (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    number INTEGER NOT NULL UNIQUE,
    model_id INTEGER NOT NULL REFERENCES model (id),
    parent INTEGER REFERENCES model (id),
    figures TEXT NOT NULL,
    annotations INTEGER NOT NULL,
    created TEXT NOT NULL
, person TEXT NOT NULL DEFAULT '');
INSERT INTO "round" VALUES(1,1,1,NULL,'{"dice": 0.5}',1,'2026-01-02T03:04:05.678+00:00','Ada');
CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO "setting" VALUES('last slide','1');
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
    tissue_px REAL,
    added TEXT NOT NULL,
    removed TEXT
, mpp_from TEXT NOT NULL DEFAULT '' CHECK (mpp_from IN ('', 'stated', 'given', 'objective')), objective REAL CHECK (objective > 0));
INSERT INTO "slide" VALUES(1,'/slides/a.svs','a.svs','a.svs','6-x',1000,800,0.5,'aperio',7.0,'2026-01-02T03:04:05.678+00:00',NULL,'',NULL);
CREATE TABLE slide_label (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slide_id INTEGER NOT NULL REFERENCES slide (id),
    label TEXT,
    person TEXT NOT NULL,
    created TEXT NOT NULL
);
INSERT INTO "slide_label" VALUES(1,1,'malignant','Ada','2026-01-02T03:04:05.678+00:00');
CREATE TABLE "step" (
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
CREATE UNIQUE INDEX one_current_model ON model (status) WHERE status = 'current';
CREATE INDEX prediction_of_slide ON prediction (slide_id, model_id);
CREATE INDEX map_of_slide ON map (slide_id, model_id);
CREATE INDEX query_by_status ON query (status, slide_id);
CREATE INDEX patch_of_annotation ON patch (annotation_id, id);
CREATE INDEX label_of_slide ON slide_label (slide_id, id);
CREATE INDEX assessment_of_annotation ON assessment (annotation_id, id);
CREATE INDEX annotation_of_slide ON annotation (slide_id, status)
;
CREATE INDEX step_of_annotation ON step (annotation_id, id);
CREATE INDEX step_of_person ON step (person, id)
;
CREATE INDEX reading_of_annotation ON annotation (reading_of) WHERE reading_of IS NOT NULL
;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('slide_label',1);
INSERT INTO "sqlite_sequence" VALUES('assessment',1);
INSERT INTO "sqlite_sequence" VALUES('annotation',1);
INSERT INTO "sqlite_sequence" VALUES('slide',1);
INSERT INTO "sqlite_sequence" VALUES('model',1);
INSERT INTO "sqlite_sequence" VALUES('prediction',1);
INSERT INTO "sqlite_sequence" VALUES('map',1);
INSERT INTO "sqlite_sequence" VALUES('query',5);
INSERT INTO "sqlite_sequence" VALUES('patch',1);
INSERT INTO "sqlite_sequence" VALUES('round',1);
INSERT INTO "sqlite_sequence" VALUES('class_change',1);
INSERT INTO "sqlite_sequence" VALUES('step',0);
COMMIT;
