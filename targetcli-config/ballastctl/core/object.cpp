// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/core/object.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "lib/base/anatomy.h"

namespace ballast::ctl::core {
namespace {

std::string until_zero(std::span<const std::byte> bytes) {
  const auto zero = std::ranges::find(bytes, std::byte{});
  return {reinterpret_cast<const char*>(bytes.data()),
          static_cast<std::size_t>(zero - bytes.begin())};
}

template <class T>
T take(std::span<const std::byte> from, std::size_t offset) {
  T value;
  std::memcpy(&value, from.data() + offset, sizeof value);
  return value;
}

}  // namespace

TimePoint believable(TimePoint time) {
  constexpr Nanoseconds furthest{std::int64_t{1} << 60};
  return TimePoint{std::clamp(time.since_start, -furthest, furthest)};
}

// --- one object

const Object::Field* Object::field(std::string_view name) const {
  const auto found = type_->fields.find(std::string{name});
  if (found == type_->fields.end()) {
    reader_->note(
        fmt::format("the plugin does not say where the {} of a {} is: it is of another "
                    "version; use its own ballastctl",
                    name, type_->name));
    return nullptr;
  }
  return &found->second;
}

std::uint64_t Object::address_of(std::string_view name) const {
  const Field* const its = field(name);
  return its == nullptr ? 0 : address_ + its->offset;
}

std::uint64_t Object::type_of(std::string_view name) const {
  const Field* const its = field(name);
  return its == nullptr ? 0 : its->type;
}

std::span<const std::byte> Object::raw(std::string_view name) const {
  const Field* const its = field(name);
  return its == nullptr ? std::span<const std::byte>{}
                        : std::span{bytes_}.subspan(its->offset, its->size);
}

std::uint64_t Object::number(std::string_view name) const {
  const Field* const its = field(name);
  if (its == nullptr) {
    return 0;
  }
  if (its->size == 0) {
    return its->offset;  // a constant
  }
  std::uint64_t value = 0;
  std::memcpy(&value, bytes_.data() + its->offset, std::min<std::size_t>(its->size, sizeof value));
  return value;
}

TimePoint Object::time(std::string_view name) const {
  return believable(TimePoint{Nanoseconds{std::bit_cast<std::int64_t>(number(name))}});
}

std::string Object::text(std::string_view name) const {
  return reader_->text(number(name)).value_or("");
}

std::string Object::string(std::string_view name) const {
  const std::span<const std::byte> its = raw(name);
  if (its.size() < 2 * sizeof(std::uint64_t)) {
    return {};
  }
  return reader_->characters(take<std::uint64_t>(its, 0), take<std::uint64_t>(its, 8)).value_or("");
}

std::optional<Object> Object::part(std::string_view name) const {
  const Field* const its = field(name);
  return its == nullptr ? std::nullopt : reader_->object(address_ + its->offset, its->type);
}

std::optional<Object> Object::target(std::string_view name) const {
  const Field* const its = field(name);
  const std::uint64_t to = its == nullptr ? 0 : number(name);
  if (to == 0) {
    return std::nullopt;
  }
  std::optional<Object> found = reader_->object(to, its->type);
  if (!found.has_value()) {
    reader_->note(fmt::format("the {} of a {} is at {:#x}, which the core file does not have", name,
                              type_->name, to));
  }
  return found;
}

std::vector<Object> Object::list(std::string_view first, std::string_view next) const {
  std::vector<Object> all;
  std::unordered_set<std::uint64_t> seen;
  std::optional<Object> member = target(first);
  while (member.has_value()) {
    if (all.size() == Reader::longest_list || all.size() * member->size() > Reader::largest_list ||
        !seen.insert(member->address()).second) {
      reader_->note(
          fmt::format("the list of {} of a {} has no end: it may have been changed just "
                      "then",
                      first, type_->name));
      return all;
    }
    all.push_back(std::move(*member));
    member = all.back().target(next);
  }
  return all;
}

// --- all of them

void Reader::note(std::string sentence) {
  if (notes_.size() < most_notes && std::ranges::find(notes_, sentence) == notes_.end()) {
    notes_.push_back(std::move(sentence));
  }
}

std::optional<std::uint64_t> Reader::word(std::uint64_t address) const {
  std::uint64_t value = 0;
  return core_.read(address, std::as_writable_bytes(std::span{&value, 1})) ? std::optional{value}
                                                                           : std::nullopt;
}

std::optional<std::string> Reader::characters(std::uint64_t address, std::uint64_t length) const {
  std::string text(std::min<std::uint64_t>(length, longest_text), '\0');
  return core_.read(address, std::as_writable_bytes(std::span{text})) ? std::optional{text}
                                                                      : std::nullopt;
}

std::optional<std::string> Reader::text(std::uint64_t address, std::size_t longest) const {
  std::string text;
  for (std::byte character{}; text.size() < longest; text += static_cast<char>(character)) {
    if (address > UINT64_MAX - text.size() ||
        !core_.read(address + text.size(), std::span{&character, 1})) {
      return std::nullopt;
    }
    if (character == std::byte{}) {
      break;
    }
  }
  return text;
}

const Object::Type* Reader::type_at(std::uint64_t address) {
  namespace its = anatomy;
  const auto known = types_.find(address);
  if (known != types_.end()) {
    return known->second ? &*known->second : nullptr;
  }
  std::optional<Object::Type>& type = types_[address];
  std::vector<std::byte> head(offsetof(its::Type, fields));
  if (!core_.read(address, head) || take<std::uint64_t>(head, 0) != address) {
    return nullptr;
  }
  const std::span all{head};
  const auto size = take<std::uint32_t>(head, offsetof(its::Type, size));
  const auto count = take<std::uint32_t>(head, offsetof(its::Type, count));
  if (size == 0 || size > largest_object || count > its::most_fields) {
    return nullptr;
  }
  type.emplace(Object::Type{
      until_zero(all.subspan(offsetof(its::Type, name), its::longest_name)), size, {}});
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<std::byte> field(sizeof(its::Field));
    if (!core_.read(address + head.size() + i * field.size(), field)) {
      break;
    }
    const Object::Field read{take<std::uint64_t>(field, 0),
                             take<std::uint32_t>(field, offsetof(its::Field, offset)),
                             take<std::uint32_t>(field, offsetof(its::Field, size))};
    if (read.size == 0 || (read.offset <= size && read.size <= size - read.offset)) {
      type->fields.emplace(
          until_zero(std::span{field}.subspan(offsetof(its::Field, name), its::longest_name)),
          read);
    }
  }
  return &*type;
}

std::optional<Object> Reader::object(std::uint64_t address, std::uint64_t type_address) {
  const Object::Type* const type = type_at(type_address);
  if (type == nullptr) {
    return std::nullopt;
  }
  std::vector<std::byte> bytes(type->size);
  if (!core_.read(address, bytes)) {
    return std::nullopt;
  }
  return Object{*this, *type, address, std::move(bytes)};
}

std::string Reader::name_of_type(std::uint64_t type) {
  const Object::Type* const its = type_at(type);
  return its == nullptr ? "" : its->name;
}

}  // namespace ballast::ctl::core
