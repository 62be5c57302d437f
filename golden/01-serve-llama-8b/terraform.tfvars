project_id = "my-project"
region     = "europe-west4"
zones      = ["europe-west4-a", "europe-west4-b", "europe-west4-c"]
