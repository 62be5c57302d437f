zone  = "europe-west4-a"
zonee = "europe-west4-b"
