// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/metrics/gather.h"

#include <iterator>
#include <utility>

#include "lib/watch/bus.h"
#include "targetcli-config/ballastctl/tune/record.h"

namespace ballast::ctl::metrics {
namespace {

void append(Families& all, Families more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

Gathered gather(const Files& files) {
  Gathered gathered;
  const Result<std::string> version = plugin_version();
  const Result<std::string> list = version ? ask(watch::bus::list, "") : version;
  const Result<std::string> stats = list ? ask(watch::bus::stats, "") : list;
  append(gathered.families, of_plugin(stats ? version.value() : ""));
  const std::vector<TargetLun> backstores = target_luns(files);
  if (stats) {
    append(gathered.families, of_luns(read_answer(list.value()), read_answer(stats.value())));
  } else if (!backstores.empty()) {
    gathered.missing = stats.error().message;
  }
  append(gathered.families, of_exports(exports(files, backstores)));
  if (const Result<std::vector<Disk>> found = disks(files, {}); found) {
    append(gathered.families, of_disks(found.value(), tune::recorded_goal(files).deadline));
  }
  return gathered;
}

}  // namespace ballast::ctl::metrics
