-- The tables as the first release made them on SQLite, with one prediction.
CREATE TABLE surrogate_meshes (
    name VARCHAR(255) NOT NULL,
    suffix VARCHAR(16) NOT NULL,
    length_unit VARCHAR(16),
    element_size_m DOUBLE,
    facts JSON,
    id VARCHAR(64) NOT NULL,
    created_at DATETIME NOT NULL,
    status VARCHAR(16) NOT NULL,
    attempts INTEGER NOT NULL,
    run VARCHAR(32) NOT NULL,
    error JSON,
    PRIMARY KEY (id)
);
CREATE INDEX ix_surrogate_meshes_created_at ON surrogate_meshes (created_at);
CREATE INDEX ix_surrogate_meshes_status ON surrogate_meshes (status);
CREATE TABLE surrogate_predictions (
    started_at DATETIME,
    finished_at DATETIME,
    mesh_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    request TEXT NOT NULL,
    fidelity VARCHAR(16) NOT NULL,
    verifies VARCHAR(64),
    idempotency_key VARCHAR(255),
    stage VARCHAR(64),
    progress DOUBLE NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    id VARCHAR(64) NOT NULL,
    created_at DATETIME NOT NULL,
    status VARCHAR(16) NOT NULL,
    attempts INTEGER NOT NULL,
    run VARCHAR(32) NOT NULL,
    error JSON,
    PRIMARY KEY (id),
    UNIQUE (idempotency_key)
);
CREATE INDEX ix_surrogate_predictions_verifies ON surrogate_predictions (verifies);
CREATE INDEX ix_surrogate_predictions_mesh_id ON surrogate_predictions (mesh_id);
CREATE INDEX ix_surrogate_predictions_status ON surrogate_predictions (status);
CREATE INDEX ix_surrogate_predictions_created_at ON surrogate_predictions (created_at);
CREATE TABLE surrogate_schema (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
);
INSERT INTO surrogate_schema (version) VALUES (1);
INSERT INTO surrogate_predictions (id, mesh_id, name, request, idempotency_key, fidelity, progress, cancel_requested,
    created_at, status, attempts, run)
VALUES ('p', 'm', 'bracket', '{}', 'k', 'solved', 1.0, 0, '2026-01-01 00:00:00', 'done', 1, 'r');
