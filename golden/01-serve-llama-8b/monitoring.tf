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
      query    = "max by (metadata_system_name) (agent_googleapis_com:gpu_utilization{monitored_resource=\"gce_instance\",metadata_system_name=~\"support-chat-[a-z0-9]{4}\"}) < 5"
      duration = "3600s"
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
      query    = "max by (metadata_system_name, device) (agent_googleapis_com:disk_percent_used{monitored_resource=\"gce_instance\",metadata_system_name=~\"support-chat-[a-z0-9]{4}\",state=\"used\"}) > 90"
      duration = "600s"
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
  dashboard_json = jsonencode({
    displayName = "support-chat"
    mosaicLayout = {
      columns = 12
      tiles = [
        {
          xPos   = 0
          yPos   = 0
          width  = 12
          height = 4
          widget = {
            title = "Plan"
            text = {
              content = "What the plan expects; the lines in the charts are the same figures.\n\n- 3 × g2-standard-24 at peak\n- 977 to 1,536 tokens/s, expected 1,277\n- first token after 325 to 537 ms, expected 407 ms\n- each further token after 53 to 84 ms, expected 64 ms\n- 14.2 of 19.8 GiB of device memory\n- 6.31 USD per hour at list prices of 2026-07-30"
              format  = "MARKDOWN"
            }
          }
        },
        {
          xPos   = 0
          yPos   = 4
          width  = 6
          height = 4
          widget = {
            title = "Machines"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "sum(compute_googleapis_com:instance_group_size{monitored_resource=\"instance_group\",instance_group_name=\"support-chat\"})"
                  }
                },
              ]
              thresholds = [
                {
                  label      = "plan"
                  value      = 3
                  targetAxis = "Y1"
                },
              ]
            }
          }
        },
        {
          xPos   = 6
          yPos   = 4
          width  = 6
          height = 4
          widget = {
            title = "Tokens per second"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "sum(rate(vllm:generation_tokens_total{job=\"support-chat\"}[5m]))"
                  }
                },
              ]
              thresholds = [
                {
                  label      = "plan"
                  value      = 1277
                  targetAxis = "Y1"
                },
              ]
            }
          }
        },
        {
          xPos   = 0
          yPos   = 8
          width  = 6
          height = 4
          widget = {
            title = "First token, ms, 95th percentile"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "1000 * histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket{job=\"support-chat\"}[5m])))"
                  }
                },
              ]
              thresholds = [
                {
                  label      = "plan"
                  value      = 406.5
                  targetAxis = "Y1"
                },
              ]
            }
          }
        },
        {
          xPos   = 6
          yPos   = 8
          width  = 6
          height = 4
          widget = {
            title = "Further tokens, ms, 95th percentile"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "1000 * histogram_quantile(0.95, sum by (le) (rate(vllm:inter_token_latency_seconds_bucket{job=\"support-chat\"}[5m])) or sum by (le) (rate(vllm:time_per_output_token_seconds_bucket{job=\"support-chat\"}[5m])))"
                  }
                },
              ]
              thresholds = [
                {
                  label      = "plan"
                  value      = 64.12
                  targetAxis = "Y1"
                },
              ]
            }
          }
        },
        {
          xPos   = 0
          yPos   = 12
          width  = 6
          height = 4
          widget = {
            title = "Requests waiting"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "sum(vllm:num_requests_waiting{job=\"support-chat\"})"
                  }
                },
              ]
            }
          }
        },
        {
          xPos   = 6
          yPos   = 12
          width  = 6
          height = 4
          widget = {
            title = "Requests per second"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "sum(rate(loadbalancing_googleapis_com:https_internal_request_count{monitored_resource=\"internal_http_lb_rule\",url_map_name=\"support-chat\"}[5m]))"
                  }
                },
              ]
              thresholds = [
                {
                  label      = "plan"
                  value      = 2.172
                  targetAxis = "Y1"
                },
              ]
            }
          }
        },
        {
          xPos   = 0
          yPos   = 16
          width  = 6
          height = 4
          widget = {
            title = "Accelerator utilisation, %"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "avg by (metadata_system_name) (agent_googleapis_com:gpu_utilization{monitored_resource=\"gce_instance\",metadata_system_name=~\"support-chat-[a-z0-9]{4}\"})"
                  }
                },
              ]
            }
          }
        },
        {
          xPos   = 6
          yPos   = 16
          width  = 6
          height = 4
          widget = {
            title = "Device memory, GiB, fullest device"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "max by (metadata_system_name) (agent_googleapis_com:gpu_memory_bytes_used{monitored_resource=\"gce_instance\",metadata_system_name=~\"support-chat-[a-z0-9]{4}\",memory_state=\"used\"}) / 1073741824"
                  }
                },
              ]
              thresholds = [
                {
                  label      = "plan"
                  value      = 14.15
                  targetAxis = "Y1"
                },
              ]
            }
          }
        },
        {
          xPos   = 0
          yPos   = 20
          width  = 6
          height = 4
          widget = {
            title = "Events in 10 min: lost"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "sum(increase(logging_googleapis_com:user_support_chat_lost{monitored_resource=\"gce_instance\"}[10m]))"
                  }
                },
              ]
            }
          }
        },
        {
          xPos   = 6
          yPos   = 20
          width  = 6
          height = 4
          widget = {
            title = "Events in 10 min: xid"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "sum(increase(logging_googleapis_com:user_support_chat_xid{monitored_resource=\"gce_instance\"}[10m]))"
                  }
                },
              ]
            }
          }
        },
        {
          xPos   = 0
          yPos   = 24
          width  = 6
          height = 4
          widget = {
            title = "Events in 10 min: unhealthy"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "sum(increase(logging_googleapis_com:user_support_chat_unhealthy{monitored_resource=\"gce_instance_group\"}[10m]))"
                  }
                },
              ]
            }
          }
        },
        {
          xPos   = 6
          yPos   = 24
          width  = 6
          height = 4
          widget = {
            title = "Disks, % used, fullest"
            xyChart = {
              dataSets = [
                {
                  plotType   = "LINE"
                  targetAxis = "Y1"
                  timeSeriesQuery = {
                    prometheusQuery = "max by (metadata_system_name) (agent_googleapis_com:disk_percent_used{monitored_resource=\"gce_instance\",metadata_system_name=~\"support-chat-[a-z0-9]{4}\",state=\"used\"})"
                  }
                },
              ]
            }
          }
        },
      ]
    }
  })

  depends_on = [google_project_service.main]
}
