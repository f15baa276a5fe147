// SPDX-License-Identifier: Apache-2.0
#include "lib/base/keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <type_traits>
#include <utility>

#include "lib/base/values.h"

namespace ballast::config {
namespace {

template <class... Args>
Error invalid(fmt::format_string<Args...> format, Args&&... args) {
  return Error{EINVAL, fmt::format(format, std::forward<Args>(args)...)};
}

std::string words_of(const Number& number, std::string_view behind_each) {
  std::string text;
  for (const Word& one : number.words) {
    text.append(one.word).append(behind_each);
  }
  return text;
}

struct Assign {
  std::string_view what;
  std::string_view text;

  Result<void> operator()(const Number& number) const {
    for (const Word& one : number.words) {
      if (text == one.word) {
        number.setting = one.value;
        return {};
      }
    }
    const Result<std::uint64_t> value = parse_number(what, text);
    if (!value) {
      return value.error();
    }
    if (value.value() < number.least || value.value() > number.most) {
      return invalid("{}: {} is out of range: it may be {}{} to {}", what, value.value(),
                     words_of(number, " or "), number.least, number.most);
    }
    number.setting = static_cast<std::uint32_t>(value.value());
    return {};
  }
  Result<void> operator()(const Size& size) const {
    const Result<Bytes> value = parse_bytes(what, text);
    if (!value) {
      return value.error();
    }
    if (value.value() < size.least || value.value() > size.most) {
      return invalid("{}: {} is out of range: it may be {} to {}", what, text,
                     format_bytes(size.least), format_bytes(size.most));
    }
    if (value.value().value() % size.multiple_of.value() != 0) {
      return invalid("{}: {} is not a multiple of {}", what, text, format_bytes(size.multiple_of));
    }
    size.setting = value.value();
    return {};
  }
  Result<void> operator()(const Duration& duration) const {
    const Result<Nanoseconds> value = parse_duration(what, text);
    if (!value) {
      return value.error();
    }
    if (value.value() < duration.least || value.value() > duration.most) {
      return invalid("{}={} is out of range: it may be {} to {}", what, text,
                     format_duration(duration.least), format_duration(duration.most));
    }
    duration.setting = value.value();
    return {};
  }
  Result<void> operator()(const Choice& choice) const {
    const auto word = std::find(choice.words.begin(), choice.words.end(), text);
    if (word != choice.words.end()) {
      choice.setting = static_cast<unsigned char>(word - choice.words.begin());
      return {};
    }
    const std::string list = fmt::format("{}", fmt::join(choice.words, " or "));
    if (text.empty()) {
      return invalid("{} has no value: write {}", what, list);
    }
    return invalid("{}: {} is not a known value: write {}", what, quote(text), list);
  }
  Result<void> operator()(const Path& path) const {
    if (text.empty()) {
      return invalid("{} has no value: write an absolute path", what);
    }
    if (text.front() != '/') {
      return invalid("{} {} is relative: write it from the root, as in /srv/vol0.raw", what,
                     quote(text));
    }
    path.setting = std::string{text};
    return {};
  }
  Result<void> operator()(const Text& value) const {
    Result<std::string> parsed = parse_text(what, text);
    if (!parsed) {
      return parsed.error();
    }
    value.setting = std::move(parsed).value();
    return {};
  }
  Result<void> operator()(const WrittenText& wanted) const {
    if (text.empty()) {
      return invalid("{} has no value: write {}", what, wanted.values);
    }
    if (Result<void> checked = wanted.check(what, text); !checked) {
      return checked;
    }
    wanted.setting = std::string{text};
    return {};
  }
};

struct Format {
  std::string operator()(const Number& number) const {
    for (const Word& one : number.words) {
      if (number.setting == one.value) {
        return std::string{one.word};
      }
    }
    return std::to_string(number.setting);
  }
  std::string operator()(const Size& size) const { return format_bytes(size.setting); }
  std::string operator()(const Duration& duration) const {
    return format_duration(duration.setting);
  }
  std::string operator()(const Choice& choice) const {
    return std::string{choice.words[choice.setting]};
  }
  std::string operator()(const Path& path) const { return path.setting; }
  std::string operator()(const Text& text) const { return format_text(text.setting); }
  std::string operator()(const WrittenText& text) const { return text.setting; }
};

struct DescribeValues {
  std::string operator()(const Number& number) const {
    return fmt::format("{}{} to {}", words_of(number, ", "), number.least, number.most);
  }
  std::string operator()(const Size& size) const {
    return fmt::format("{} to {}", format_bytes(size.least), format_bytes(size.most));
  }
  std::string operator()(const Duration& duration) const {
    return fmt::format("{} to {}", format_duration(duration.least), format_duration(duration.most));
  }
  std::string operator()(const Choice& choice) const {
    return fmt::format("{}", fmt::join(choice.words, ", "));
  }
  std::string operator()(const Path&) const { return "a path"; }
  std::string operator()(const Text& text) const { return std::string{text.what}; }
  std::string operator()(const WrittenText& text) const { return std::string{text.values}; }
};

}  // namespace

Result<void> assign(const Key& key, std::string_view what, std::string_view text) {
  return std::visit(Assign{what, text}, key.values);
}

std::string format(const Key& key) {
  return std::visit(Format{}, key.values);
}

void copy(const Key& from, const Key& to) {
  std::visit(
      [&to](const auto& source) {
        using Values = std::remove_cvref_t<decltype(source)>;
        std::get<Values>(to.values).setting = source.setting;
      },
      from.values);
}

std::string describe_values(const Key& key) {
  return std::visit(DescribeValues{}, key.values);
}

const Key* find(const Keys& keys, std::string_view name) {
  const auto key =
      std::find_if(keys.begin(), keys.end(), [&](const Key& each) { return each.name == name; });
  return key == keys.end() ? nullptr : &*key;
}

}  // namespace ballast::config
