#include "json.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <system_error>
#include <unordered_set>

#include "error.h"

namespace seprog {
namespace {

constexpr int kMaxDepth = 64;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json document() {
    Json value = parseValue(0);
    skipBlanks();
    if (at_ != text_.size()) refuse("the end of the text");
    return value;
  }

 private:
  [[noreturn]] void refuse(const std::string& wanted) const {
    const std::string got = at_ < text_.size() ? "`" + std::string(text_.substr(at_, 12)) + "`"
                                               : std::string("the end of the text");
    fail(ErrorCode::DataInvalid,
         "expected " + wanted + " for JSON at byte " + std::to_string(at_) + " but received " + got);
  }

  void skipBlanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool accept(char wanted) {
    if (peek() != wanted || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }

  bool acceptWord(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Json parseValue(int depth) {
    if (depth > kMaxDepth) refuse("at most " + std::to_string(kMaxDepth) + " levels");
    skipBlanks();
    if (at_ >= text_.size()) refuse("a value");
    switch (text_[at_]) {
      case '{':
        return parseObject(depth);
      case '[':
        return parseArray(depth);
      case '"':
        return Json(parseString());
      case 't':
        if (acceptWord("true")) return Json(true);
        break;
      case 'f':
        if (acceptWord("false")) return Json(false);
        break;
      case 'n':
        if (acceptWord("null")) return Json(nullptr);
        break;
      default:
        return Json(parseNumber());
    }
    refuse("a value");
  }

  Json parseObject(int depth) {
    ++at_;
    Json::Object members;
    std::unordered_set<std::string> seen;
    skipBlanks();
    if (accept('}')) return Json(std::move(members));
    while (true) {
      skipBlanks();
      if (peek() != '"') refuse("a key");
      const size_t keyAt = at_;
      std::string key = parseString();
      if (!seen.insert(key).second) {
        at_ = keyAt;
        refuse("a key that was not given before");
      }
      skipBlanks();
      if (!accept(':')) refuse("`:`");
      Json value = parseValue(depth + 1);
      members.emplace_back(std::move(key), std::move(value));
      skipBlanks();
      if (accept('}')) return Json(std::move(members));
      if (!accept(',')) refuse("`,` or `}`");
    }
  }

  Json parseArray(int depth) {
    ++at_;
    Json::Array items;
    skipBlanks();
    if (accept(']')) return Json(std::move(items));
    while (true) {
      items.push_back(parseValue(depth + 1));
      skipBlanks();
      if (accept(']')) return Json(std::move(items));
      if (!accept(',')) refuse("`,` or `]`");
    }
  }

  uint32_t parseHex4() {
    if (at_ + 4 > text_.size()) refuse("four hexadecimal digits");
    uint32_t unit = 0;
    const char* begin = text_.data() + at_;
    const auto result = std::from_chars(begin, begin + 4, unit, 16);
    if (result.ptr != begin + 4) refuse("four hexadecimal digits");
    at_ += 4;
    return unit;
  }

  static void appendUtf8(std::string& out, uint32_t point) {
    if (point < 0x80) {
      out += static_cast<char>(point);
    } else if (point < 0x800) {
      out += static_cast<char>(0xC0 | (point >> 6));
      out += static_cast<char>(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
      out += static_cast<char>(0xE0 | (point >> 12));
      out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (point & 0x3F));
    } else {
      out += static_cast<char>(0xF0 | (point >> 18));
      out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
      out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (point & 0x3F));
    }
  }

  std::string parseString() {
    ++at_;
    std::string out;
    while (true) {
      if (at_ >= text_.size()) refuse("a closing quote");
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return out;
      }
      if (static_cast<unsigned char>(c) < 0x20) refuse("an escaped control character");
      ++at_;
      if (c != '\\') {
        out += c;
        continue;
      }
      const char escape = peek();
      ++at_;
      switch (escape) {
        case '"':
          out += '"';
          break;
        case '\\':
          out += '\\';
          break;
        case '/':
          out += '/';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'n':
          out += '\n';
          break;
        case 'r':
          out += '\r';
          break;
        case 't':
          out += '\t';
          break;
        case 'u': {
          uint32_t point = parseHex4();
          if (point >= 0xD800 && point < 0xDC00) {
            if (!acceptWord("\\u")) refuse("the second half of a surrogate pair");
            const uint32_t low = parseHex4();
            if (low < 0xDC00 || low > 0xDFFF) refuse("the second half of a surrogate pair");
            point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
          } else if (point >= 0xDC00 && point <= 0xDFFF) {
            refuse("the first half of a surrogate pair");
          }
          appendUtf8(out, point);
          break;
        }
        default:
          --at_;
          refuse("an escape character");
      }
    }
  }

  void digits() {
    if (peek() < '0' || peek() > '9') refuse("a digit");
    while (peek() >= '0' && peek() <= '9') ++at_;
  }

  double parseNumber() {
    const size_t begin = at_;
    accept('-');
    if (!accept('0')) digits();
    if (accept('.')) digits();
    if (accept('e') || accept('E')) {
      if (!accept('+')) accept('-');
      digits();
    }
    double value = 0;
    const auto result = std::from_chars(text_.data() + begin, text_.data() + at_, value);
    if (result.ec != std::errc()) {
      at_ = begin;
      refuse("a number that a double can hold");
    }
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
};

void dumpString(std::string& out, const std::string& text) {
  static const char* kHex = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void dumpNumber(std::string& out, double value) {
  if (!std::isfinite(value))
    fail(ErrorCode::Internal, "expected a finite number for a JSON text but received NaN or infinity");
  char buffer[32];
  const bool integral = value == std::floor(value) && std::fabs(value) < 9007199254740992.0;
  const auto result = integral ? std::to_chars(buffer, buffer + sizeof buffer, static_cast<int64_t>(value))
                               : std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, result.ptr);
}

void dumpValue(std::string& out, const Json& value) {
  if (value.isNull()) {
    out += "null";
  } else if (value.isBool()) {
    out += value.boolean() ? "true" : "false";
  } else if (value.isNumber()) {
    dumpNumber(out, value.number());
  } else if (value.isString()) {
    dumpString(out, value.string());
  } else if (value.isArray()) {
    out += '[';
    bool first = true;
    for (const Json& item : value.array()) {
      if (!first) out += ',';
      first = false;
      dumpValue(out, item);
    }
    out += ']';
  } else {
    out += '{';
    bool first = true;
    for (const auto& [key, member] : value.object()) {
      if (!first) out += ',';
      first = false;
      dumpString(out, key);
      out += ':';
      dumpValue(out, member);
    }
    out += '}';
  }
}

}  // namespace

const Json* Json::find(std::string_view key) const {
  if (!isObject()) return nullptr;
  for (const auto& [name, value] : object()) {
    if (name == key) return &value;
  }
  return nullptr;
}

Json Json::parse(std::string_view text) { return Parser(text).document(); }

std::string Json::dump() const {
  std::string out;
  dumpValue(out, *this);
  return out;
}

}  // namespace seprog
