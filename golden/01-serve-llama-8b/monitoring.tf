resource "google_logging_metric" "lost" {
  name        = "support-chat/lost"
  description = "Machines that were preempted, or whose host failed"
  filter      = "log_id(\"cloudaudit.googleapis.com/system_event\") AND resource.type = \"gce_instance\" AND protoPayload.methodName = (\"compute.instances.preempted\" OR \"compute.instances.hostError\") AND protoPayload.resourceName =~ \"/instances/support-chat-[a-z0-9]{4}$\""

  label_extractors = {
    event = "EXTRACT(protoPayload.methodName)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"

    labels {
      key         = "event"
      value_type  = "STRING"
      description = "What took the machine"
    }
  }

  depends_on = [google_project_service.main]
}

resource "google_logging_metric" "xid" {
  name        = "support-chat/xid"
  description = "Errors that the driver of the accelerators reports (Xid)"
  filter      = "resource.type = \"gce_instance\" AND labels.\"compute.googleapis.com/resource_name\" =~ \"^support-chat-[a-z0-9]{4}$\" AND \"NVRM: Xid\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.main]
}

resource "google_logging_metric" "unhealthy" {
  name        = "support-chat/unhealthy"
  description = "Machines that were healthy and are not any more, by their health checks"
  filter      = "log_id(\"compute.googleapis.com/healthchecks\") AND resource.type = \"gce_instance_group\" AND jsonPayload.healthCheckProbeResult.healthState = \"UNHEALTHY\" AND jsonPayload.healthCheckProbeResult.previousHealthState = \"HEALTHY\" AND resource.labels.instance_group_name = \"support-chat\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.main]
}

resource "google_monitoring_alert_policy" "group_size" {
  display_name          = "support-chat: fewer than 2 machines"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels

  conditions {
    display_name = "support-chat: fewer than 2 machines"

    condition_threshold {
      filter          = "metric.type = \"compute.googleapis.com/instance_group/size\" AND resource.type = \"instance_group\" AND resource.labels.instance_group_name = \"${google_compute_region_instance_group_manager.main.name}\""
      comparison      = "COMPARISON_LT"
      threshold_value = 2
      duration        = "900s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_MIN"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.labels.instance_group_name"]
      }
    }
  }

  documentation {
    content = "Machines are missing: look at the group's errors for quota or stock, and at the serial log of the newest machine."
  }

  depends_on = [google_project_service.main]
}

resource "google_monitoring_alert_policy" "lost" {
  display_name          = "support-chat: machines lost"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels

  conditions {
    display_name = "support-chat: machines lost"

    condition_matched_log {
      filter = "log_id(\"cloudaudit.googleapis.com/system_event\") AND resource.type = \"gce_instance\" AND protoPayload.methodName = (\"compute.instances.preempted\" OR \"compute.instances.hostError\") AND protoPayload.resourceName =~ \"/instances/support-chat-[a-z0-9]{4}$\""
    }
  }

  alert_strategy {
    auto_close = "3600s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = "A machine was preempted, or its host failed; the group makes another as far as there is one."
  }

  depends_on = [google_project_service.main]
}

resource "google_monitoring_alert_policy" "xid" {
  display_name          = "support-chat: accelerator errors (Xid)"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels

  conditions {
    display_name = "support-chat: accelerator errors (Xid)"

    condition_matched_log {
      filter = "resource.type = \"gce_instance\" AND labels.\"compute.googleapis.com/resource_name\" =~ \"^support-chat-[a-z0-9]{4}$\" AND \"NVRM: Xid\""
    }
  }

  alert_strategy {
    auto_close = "3600s"

    notification_rate_limit {
      period = "300s"
    }
  }

  documentation {
    content = "The driver reported an error; the number after Xid says which. Replace a machine whose errors come again: its accelerator or its memory is failing."
  }

  depends_on = [google_project_service.main]
}

resource "google_monitoring_alert_policy" "unhealthy" {
  display_name          = "support-chat: a machine became unhealthy"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels

  conditions {
    display_name = "support-chat: a machine became unhealthy"

    condition_matched_log {
      filter = "log_id(\"compute.googleapis.com/healthchecks\") AND resource.type = \"gce_instance_group\" AND jsonPayload.healthCheckProbeResult.healthState = \"UNHEALTHY\" AND jsonPayload.healthCheckProbeResult.previousHealthState = \"HEALTHY\" AND resource.labels.instance_group_name = \"support-chat\""
    }
  }

  alert_strategy {
    auto_close = "3600s"

    notification_rate_limit {
      period = "300s"
    }
  }

  documentation {
    content = "A machine that served fails its health check: look at the program's log, and at what was rolled out last."
  }

  depends_on = [google_project_service.main]
}

resource "google_monitoring_alert_policy" "idle" {
  display_name          = "support-chat: accelerators idle for an hour"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels

  conditions {
    display_name = "support-chat: accelerators idle for an hour"

    condition_prometheus_query_language {
      query               = "max by (metadata_system_name) (agent_googleapis_com:gpu_utilization{monitored_resource=\"gce_instance\",metadata_system_name=~\"support-chat-[a-z0-9]{4}\"}) < 5"
      duration            = "3600s"
      evaluation_interval = "60s"
      # The first value comes with the first machine or event, after this policy.
      disable_metric_validation = true
    }
  }

  documentation {
    content = "The busiest accelerator of a machine does nothing, and is paid for: is the program still running?"
  }

  depends_on = [google_project_service.main]
}

resource "google_monitoring_alert_policy" "disk_full" {
  display_name          = "support-chat: disk nearly full"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels

  conditions {
    display_name = "support-chat: disk nearly full"

    condition_prometheus_query_language {
      query               = "max by (metadata_system_name, device) (agent_googleapis_com:disk_percent_used{monitored_resource=\"gce_instance\",metadata_system_name=~\"support-chat-[a-z0-9]{4}\",state=\"used\",device!~\"/dev/loop.*\"}) > 90"
      duration            = "600s"
      evaluation_interval = "60s"
      # The first value comes with the first machine or event, after this policy.
      disable_metric_validation = true
    }
  }

  documentation {
    content = "A disk of a machine is nearly full: clear it, or give `machine.boot_disk_size` or the store more room."
  }

  depends_on = [google_project_service.main]
}

# What the plan expects stands beside what is measured: lines across a chart are the plan's.
resource "google_monitoring_dashboard" "main" {
  dashboard_json = file("${path.module}/dashboard.json")

  depends_on = [google_project_service.main]
}
