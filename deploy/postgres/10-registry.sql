-- The registry keeps its schemas here; its tables it makes itself.
CREATE DATABASE apicurio;
