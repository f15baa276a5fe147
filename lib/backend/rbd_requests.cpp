// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <nlohmann/json.hpp>
#include <utility>

#include "lib/backend/rbd_admin_socket.h"
#include "lib/base/errand.h"

namespace ballast::backend {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// The same list as compact JSON.
constexpr std::string_view command = R"({"prefix": "objecter_requests", "format": "json"})";
// 128 operations take 80 KiB. Zeroing a large range is many requests at once.
constexpr std::size_t longest_answer = std::size_t{1} << 20;
// An errand's own limit. A caller may be less patient.
constexpr Nanoseconds errand_patience = 2s;

// Where a request is. The cluster's map decides: it may name no OSD (-1), or tell clients to wait.
std::string whom(const json& request) {
  const auto osd = request.at("osd").get<std::int64_t>();
  if (request.value("paused", 0) != 0) {
    return "the cluster to let clients go on (it is paused or full)";
  }
  return osd < 0 ? fmt::format("an OSD that is up for placement group {}",
                               request.at("pg").get<std::string>())
                 : fmt::format("osd.{}", osd);
}

std::string describe(const json& requests) {
  if (!requests.is_array() || requests.empty()) {
    return {};
  }
  const auto age = [](const json& request) { return request.at("age").get<double>(); };
  const json& oldest = *std::ranges::max_element(requests, {}, age);
  std::string text = fmt::format("{}, object {}, for {:.1f} s", whom(oldest),
                                 oldest.at("object_id").get<std::string>(), age(oldest));
  if (requests.size() > 1) {
    text += fmt::format("; {} more request{} wait{}", requests.size() - 1,
                        requests.size() > 2 ? "s" : "", requests.size() > 2 ? "" : "s");
  }
  return text;
}

}  // namespace

std::string oldest_request(std::string_view answer) {
  try {
    return describe(json::parse(answer).at("ops"));
  } catch (const json::exception&) {
    return {};  // another version of Ceph may write it in another way
  }
}

// Returns null if nothing can be asked now.
std::shared_ptr<RbdRequests::Question> RbdRequests::ask() {
  if (admin_socket_.empty() || (asked_ != nullptr && !asked_->is_given())) {
    return nullptr;
  }
  try {
    auto question = std::make_shared<Question>();
    const bool sent = send_errand("ballast/asok", [question, path = admin_socket_] {
      std::string text;
      try {
        text = oldest_request(ask_admin_socket(path, command, errand_patience, longest_answer));
      } catch (const std::bad_alloc&) {
        // then it is not known
      }
      question->give(std::move(text));
    });
    asked_ = sent ? question : nullptr;
    return asked_;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

co::Task<std::string> RbdRequests::oldest(Nanoseconds patience) {
  const std::shared_ptr<Question> question = ask();
  if (question != nullptr) {
    const bool given = co_await co::given_within(executor_, question, patience);
    if (given) {
      co_return question->take();
    }
  }
  co_return std::string{};
}

}  // namespace ballast::backend
