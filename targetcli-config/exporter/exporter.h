// SPDX-License-Identifier: Apache-2.0
// What ballast-exporter answers: /metrics, /healthz and /.
//
// Everything is gathered when somebody asks. Each source is asked by one thread at a time, however
// many clients there are, and an answer takes no longer than `most_patience` (Prometheus waits for
// ten seconds, if not told otherwise). Any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/metrics/gather.h"
#include "targetcli-config/exporter/http_server.h"
#include "targetcli-config/exporter/one_at_a_time.h"

namespace ballast::exporter {

inline constexpr Nanoseconds plugin_patience = std::chrono::seconds{6};
inline constexpr Nanoseconds most_patience = std::chrono::seconds{9};

class Exporter {
 public:
  Exporter();
  Answer answer(std::string_view path);

 private:
  Answer metrics();
  Answer health();
  Answer page();

  OneAtATime<ctl::metrics::PluginAnswers> plugin_;
  OneAtATime<Result<ctl::Reading>> in_flight_;
  OneAtATime<Result<std::string>> version_;
  OneAtATime<ctl::metrics::Site> site_;
};

}  // namespace ballast::exporter
