// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/text/cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {

std::string number_cell(const nlohmann::json& number) {
  return number.is_null() ? "" : fmt::format("{}", number.get<std::uint64_t>());
}

std::string bytes_cell(const nlohmann::json& bytes) {
  return bytes.is_null() ? "" : bytes_text(bytes.get<std::uint64_t>());
}

std::string duration_cell(const nlohmann::json& nanoseconds) {
  return nanoseconds.is_null() ? "" : duration_text(nanoseconds.get<std::uint64_t>());
}

std::string state_cell(const nlohmann::json& lun) {
  const nlohmann::json& stalled = lun.at("stalled_for_ns");
  const auto state = lun.at("state").get<std::string>();
  return stalled.is_null() ? state : fmt::format("{} {}", state, duration_cell(stalled));
}

std::string connection_cell(const nlohmann::json& lun) {
  const nlohmann::json& connection = lun.at("connection");
  if (connection.is_null() || connection.at("state") == "connected") {
    return "";
  }
  return fmt::format("{} {}", connection.at("state").get<std::string>(),
                     duration_cell(connection.at("for_ns")));
}

std::vector<OfLun> oldest_first(const std::vector<nlohmann::json>& luns, const char* member,
                                const char* age) {
  struct Place {
    std::uint64_t age;
    std::size_t came;  // keeps the order of elements with the same age
    OfLun element;
  };
  std::vector<Place> places;
  for (const nlohmann::json& lun : luns) {
    for (const nlohmann::json& element : lun.at(member)) {
      places.push_back({element.at(age), places.size(), OfLun{lun.at("name"), element}});
    }
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.age != b.age ? a.age > b.age : a.came < b.came;
  });
  std::vector<OfLun> all;
  for (Place& place : places) {
    all.push_back(std::move(place.element));
  }
  return all;
}

std::string rare_stages(const nlohmann::json& time_in_ns) {
  std::string text;
  for (const char* const stage : {"limit", "elevator", "source", "log"}) {
    // A daemon that is older than this program does not know all of them.
    const nlohmann::json& time = time_in_ns.value(stage, nlohmann::json(0));
    if (time != 0) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", stage, duration_cell(time));
    }
  }
  return text;
}

}  // namespace ballast::ctl
