variable "hub_token" {
  description = "Token of the model hub"
  type        = string
  default     = "correct horse"
}

variable "max_output_tokens" {
  description = "Longest answer"
  type        = number
  default     = 500
}
