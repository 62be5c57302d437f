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
