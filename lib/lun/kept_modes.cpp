// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/kept_modes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <utility>

#include "lib/base/durable_file.h"
#include "lib/base/errand.h"
#include "lib/base/log.h"
#include "lib/co/errand_answer.h"

namespace ballast::lun {
namespace {

using Values = KeptModes::Values;

constexpr std::size_t largest_file = 16 << 10;
constexpr const char* head =
    "# What initiators have set on this LUN with MODE SELECT. Without this file it begins with "
    "its\n"
    "# defaults, and initiators do not learn of that.\n";

std::string text_of(const KeptModes::Place& place, const Values& values) {
  return fmt::format(
      "{}store={}\nwrite_cache={:d}\nsoftware_write_protect={:d}\ndescriptor_sense={:d}\n", head,
      place.store, values.write_cache, values.software_write_protect, values.descriptor_sense);
}

std::optional<std::string_view> value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.starts_with(key) && line.substr(key.size()).starts_with('=')) {
      return line.substr(key.size() + 1);
    }
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return std::nullopt;
}

Result<std::optional<Values>> read(const KeptModes::Place& place) {
  const std::string path = place.folder + "/" + place.lun;
  const Result<std::string> text = read_small_file(path, largest_file);
  if (!text) {
    return text.error().errno_value == ENOENT ? Result<std::optional<Values>>{std::nullopt}
                                              : text.error();
  }
  if (value_of(text.value(), "store") != place.store) {
    return std::optional<Values>{};
  }
  Values values;
  for (const auto& [key, value] : {std::pair{"write_cache", &values.write_cache},
                                   {"software_write_protect", &values.software_write_protect},
                                   {"descriptor_sense", &values.descriptor_sense}}) {
    const std::optional<std::string_view> found = value_of(text.value(), key);
    if (found != "0" && found != "1") {
      return Error{EINVAL, fmt::format("{} is damaged: it has no {} of 0 or 1", path, key)};
    }
    *value = found == "1";
  }
  return std::optional{values};
}

using Writing = co::ErrandAnswer<Result<void>>;

}  // namespace

// Shared with its errand, which may outlive the LUN.
class KeptModes::Writer : public std::enable_shared_from_this<Writer> {
 public:
  explicit Writer(const Place& place) : place_{place} {}

  // Nothing: no thread can be had. Throws std::bad_alloc.
  std::shared_ptr<Writing> write(std::string text) {
    Order order{std::move(text), next_turn(), std::make_shared<Writing>()};
    const std::shared_ptr<Writing> writing = order.writing;
    const std::lock_guard lock{mutex_};
    next_ = std::move(order);
    if (!under_way_) {
      under_way_ = send_errand("ballast/modes", [self = shared_from_this()] { self->work(); });
      if (!under_way_) {
        next_.reset();
        return nullptr;
      }
    }
    return writing;
  }

 private:
  struct Order {
    std::string text;
    std::uint64_t turn;
    std::shared_ptr<Writing> writing;
  };

  void work() {
    while (const std::optional<Order> order = take()) {
      Result<void> ended = Error{ENOMEM, "no memory"};
      try {
        ended = replace_file(place_.folder, place_.lun, order->text, order->turn);
      } catch (const std::bad_alloc&) {
        // then that is what it says
      }
      order->writing->give(std::move(ended));
    }
  }
  std::optional<Order> take() {
    const std::lock_guard lock{mutex_};
    under_way_ = next_.has_value();
    return std::exchange(next_, std::nullopt);
  }

  const Place place_;
  std::mutex mutex_;
  std::optional<Order> next_;
  bool under_way_ = false;
};

KeptModes::KeptModes(co::Executor& executor, Place place)
    : executor_{executor}, place_{std::move(place)}, writer_{std::make_shared<Writer>(place_)} {}

Result<std::optional<Values>> KeptModes::find(const Place& place, Nanoseconds limit) {
  if (place.folder.empty()) {
    return std::optional<Values>{};
  }
  std::optional<Result<std::optional<Values>>> found =
      ask_with_patience<Result<std::optional<Values>>>("ballast/modes", limit,
                                                       [place] { return read(place); });
  return found.has_value() ? std::move(*found)
                           : Error{ETIMEDOUT, fmt::format("{} does not answer", place.folder)};
}

co::Task<bool> KeptModes::keep(Values values) {
  std::shared_ptr<Writing> writing;
  try {
    writing = writer_->write(text_of(place_, values));
  } catch (const std::bad_alloc&) {
    // then it is not kept
  }
  if (writing == nullptr) {
    co_return say_not_kept("there is no memory or no thread for it");
  }
  const bool given = co_await co::given_within(executor_, writing, patience);
  if (!given) {
    co_return say_not_kept("the folder does not answer");
  }
  const Result<void> ended = writing->take();
  co_return ended.ok() || say_not_kept(ended.error().message);
}

bool KeptModes::say_not_kept(std::string_view why) {
  if (const auto left_out = lines_.next_in_words(executor_.now()); left_out.has_value()) {
    log(LogLevel::warning,
        "{}: what an initiator has set with MODE SELECT is not kept ({}): if the daemon is started "
        "again, the LUN has its defaults, and initiators do not learn of it{}",
        place_.lun, why, *left_out);
  }
  return false;
}

}  // namespace ballast::lun
