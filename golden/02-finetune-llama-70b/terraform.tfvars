project_id = "my-project"
region     = "us-central1"
zone       = "us-central1-a"
